"""What is run on a machine: layers, networks and their files."""
