"""The command line: commands, params.yaml as a whole, and the times of stages."""
