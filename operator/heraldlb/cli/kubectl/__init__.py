"""`kubectl herald`: what a user asks Herald, through kubectl's own credentials.

A command is one module that holds a `click` command named `command`, and one line in `main.COMMANDS`. It reads the
cluster inside `session.run`, makes a report (a frozen dataclass, by pure functions of what was read), and hands it
to `output.show` with a function that renders it as lines. Exit statuses are those of `exits.Exit`.

Modules import at their top only what is quick: `--help` must not wait for a Kubernetes client.
"""
