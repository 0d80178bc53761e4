"""Training of vision-language models of the SmolVLM architecture: a tiny one from scratch, a real one by LoRA."""
