"""Files of other programs: a diffusers scheduler in one file, a node folder for ComfyUI."""
