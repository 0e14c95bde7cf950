"""The objective `rating`: how many stars would she give it?"""
