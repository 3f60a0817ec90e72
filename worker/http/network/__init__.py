"""The way of connections whose requests leave by a proxy, or with certificates of their own."""
