"""Fitting the free numbers and levels of a spec through its own Program."""
