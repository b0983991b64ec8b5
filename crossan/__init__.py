"""What other programs import: `crossan.client`."""
