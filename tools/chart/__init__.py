"""Says once, in the chart's `values.yaml`, what each value means, and copies it to the schema and the README."""
