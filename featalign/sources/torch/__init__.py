"""Sources that run in torch: models of timm, transformers and sentence-transformers, and own ones."""
