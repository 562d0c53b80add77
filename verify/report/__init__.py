"""Verdicts for readers: a terminal table, one HTML page, JSON, JUnit XML, GitHub annotations."""
