"""Supervised fine-tuning of a causal language model with LoRA."""
