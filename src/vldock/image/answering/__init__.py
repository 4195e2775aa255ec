"""Types and options that clients and engines share: questions, answers, facts of a model.

Imported by engines, predict, evaluation and the session's client side: no torch at import.

types        Question, Answer, the AnswersQuestions protocol
options      --engine, --batch-size, --feature-cache, --no-worker
model_facts  device, dtype and attention of a loaded model
"""
