"""Small runtime functions between emitted samplers and the places where they run.

This room imports torch (numpy for seeded noise, and a host's own library where a module is named
after it), never the generator: what it holds works on emitted files, which are handed to it as
modules.
"""
