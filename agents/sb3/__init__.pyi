from .trainers import TorsoExtractor as TorsoExtractor
from .vec_env import MezeVecEnv as MezeVecEnv
