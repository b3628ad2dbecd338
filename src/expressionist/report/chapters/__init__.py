"""Chapters of the run's page: each module's `describe` turns a finished run into its section."""
