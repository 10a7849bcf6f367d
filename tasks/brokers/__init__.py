"""What differs between the brokers that messages may travel through, behind one small protocol.

`port` is the protocol; `redis` and `amqp` each hold one broker's answers and the Celery options that go with it.
"""
