"""What helps to maintain the repository; nothing here is part of the product."""
