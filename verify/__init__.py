"""The judge: measures, audits and gates any diffusion sampler.

It shares no mathematics with the generator: it sees callables and the claims that an emitted file
states as constants.
"""
