"""Certificates of order, checked with the standard library alone: `python -m verify.certificate FILE...`."""
