"""Sources in torch: models of timm, transformers, sentence-transformers, and own modules."""
