"""What emitted files contain besides their weights, as code; `..pieces` copies it into them."""
