"""What came of the attempts at each destination, counted by the hour.

Workers count in memory and write every two seconds, in transactions of their own: a delivery costs
no more for it. A worker that is killed loses what it had not written; one that is stopped loses
nothing.
"""
