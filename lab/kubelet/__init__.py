"""A stand-in for the kubelet: keeps a Node object alive and runs the pods bound to it as local processes.

It acts with a real kubelet's credentials and API calls, so the Node authorizer, ServiceAccount tokens, the
Deployment and DaemonSet controllers and `kubectl` see what they would see in a real cluster. There is no container
image: a name maps to a program of this machine. What the pod's specification says of namespaces, capabilities,
users and volumes is applied for real.
"""
