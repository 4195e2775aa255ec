"""Types and options shared by clients and engines.

Questions, answers, inference options and facts of a loaded model.
Imported by engines, predict, evaluation and the session's client side: no torch at import.

types        Question, Answer, the AnswersQuestions protocol
options      --engine, --batch-size, --feature-cache, --no-worker
model_facts  device, dtype and attention of a loaded model
"""
