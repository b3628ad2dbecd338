"""One DVC stage per file: `run` takes sections of params.yaml by position and paths by keyword."""
