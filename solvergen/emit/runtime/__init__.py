"""What emitted files contain besides their weights, as code; `..specialise` copies it into them."""
