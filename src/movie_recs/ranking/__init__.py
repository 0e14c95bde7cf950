"""The objective `ranking`: what should she watch next?"""
