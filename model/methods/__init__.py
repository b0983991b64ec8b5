"""The adaptation methods: each decides which parts an item tower is made of."""
