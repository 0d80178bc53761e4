"""From a trained adapter to files that llama.cpp serves."""
