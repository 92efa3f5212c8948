"""Other load balancers' configuration as Herald's objects, with an account of every line. Pure: no I/O, no clock.

`documents` reads YAML; `metallb`, `metallb_configmap`, `cilium` and `kubevip` convert, each with `notes.Fields`,
which know what nobody has looked at; `convert` puts them together; `proof` shows that no Service moves.
"""
