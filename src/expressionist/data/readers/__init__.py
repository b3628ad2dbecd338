"""Readers: people's files, whatever their format, become tables and matrices."""
