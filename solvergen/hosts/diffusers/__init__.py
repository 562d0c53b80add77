"""Emitted samplers as schedulers of diffusers: levels, steps, configs, and what pipelines get back.

Exported files take these modules over as text (`emit.diffusers_file`), in the order given there.
"""
