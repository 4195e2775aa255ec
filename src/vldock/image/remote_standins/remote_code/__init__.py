"""Remote code of the stand-ins: copied into snapshots, where each file stands beside the others.

memory_layers                 layers of the decoder and of image encoders
memory_decoder                causal language model with a key-value memory
configuration_internvl_chat   InternVL2's configuration
modeling_internvl_chat        InternVL2's model
tokenization_internlm2        InternVL2's tokenizer
configuration_minicpm         MiniCPM-V 2.6's configuration
modeling_minicpmv             MiniCPM-V 2.6's model
modeling_navit_siglip         its vision tower
resampler                     its fixed number of tokens for every slice
image_processing_minicpmv     its slices, and the marks that stand for them
processing_minicpmv           its processor
tokenization_minicpmv_fast    its tokenizer
configuration_cogvlm          CogVLM's configuration
modeling_cogvlm               CogVLM's model
visual                        CogVLM's vision part
"""
