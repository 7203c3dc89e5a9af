"""Do gradients tell the gain of fine-tuning over training from scratch? Evidence from the cache against really trained arms."""
