"""Pictures into YOLO networks and boxes out of them.

`preprocessor` and `decoder` are the production code, over ``csrc/vision``; `letterbox` and `decode` are its meaning in
numpy, formulas as the papers write them; `encode`, for training, is the inverse of `decode`;
`anchors` finds anchors.
"""
