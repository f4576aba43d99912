"""What happens to bundles after their export: signing, publishing, comparing, pruning and describing them."""
