"How any network learns."
