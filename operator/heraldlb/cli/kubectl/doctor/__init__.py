"""`kubectl herald doctor`: what breaks layer-2 load balancers in practice, looked for in a cluster and on its nodes."""
