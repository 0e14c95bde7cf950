from movie_recs.pipelines.recommend.pipeline import create_pipeline

__all__ = ["create_pipeline"]
