"""`kubectl herald doctor`: what breaks layer-2 load balancers, looked for in a cluster and on its nodes."""
