from movie_recs.pipelines.refresh.pipeline import create_pipeline

__all__ = ["create_pipeline"]
