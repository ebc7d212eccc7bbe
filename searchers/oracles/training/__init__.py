"""Scripts that make the measured tables and fit models to them; training needs the extra ``train``, fitting nothing."""
