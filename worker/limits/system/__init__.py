"""What does a system say of itself: by its headers, and by not answering?"""
