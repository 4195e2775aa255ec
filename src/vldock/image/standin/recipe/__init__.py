"""How the stand-ins are made: tokenizer, tower, models, recorded prompts, what is broken, training."""
