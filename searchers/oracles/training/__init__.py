"""Scripts that make the measured tables; they need the extra ``train``, and nothing else imports them."""
