"""archsearch: neural architecture search for PyTorch, with a search-space language."""
