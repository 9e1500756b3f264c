"""One module per page; `layout` takes what the URL says."""
