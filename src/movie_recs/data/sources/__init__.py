"""Where ratings come from: the description of a source, GroupLens' layouts, and reading each as rows of text."""
