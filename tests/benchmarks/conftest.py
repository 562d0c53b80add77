"""Benchmarks are scripts, run by `make bench`; no tests are collected here."""

collect_ignore_glob = ["*.py"]
