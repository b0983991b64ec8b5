"""What trains, promotes and clears away versions by itself: schedules, triggers, retention."""
