"""What another version would have done, estimated on recorded answers."""
